Feature: What was reviewed is what is done
  A plan is applied as it was reviewed or not at all, by one person at a time, and nothing in use is deleted.

  Scenario: A stale plan
    Given fraud:1 serves in dev
    And model version fraud:2
    And model version fraud:3
    And fraud:2 is declared to serve in dev
    And I have the plan of dev in a file
    When somebody else applies fraud:3 to dev
    And I apply the plan file
    Then it is refused with exit code 4 because "The plan is stale"
    And dev serves fraud:3

  Scenario: An approval is for one effect
    Given fraud:1 serves in dev
    And model version fraud:2
    And fraud:2 is declared to serve in dev
    And the effect of the plan of dev is approved
    When I declare three instances of it too
    And I apply the approved effect
    Then it is refused with exit code 4 because "The effect is not the approved one"
    And dev serves fraud:1

  Scenario: Drift and its repair
    Given fraud:1 serves in dev
    When somebody takes all traffic off dev by hand
    Then the drift check of dev finds the endpoint and exits with 3
    And the plan of dev says "changed outside of Git"
    When I apply dev
    Then dev serves fraud:1
    And the drift check of dev finds nothing

  Scenario: An object that others made is not touched
    Given a new repository
    And model version fraud:1
    And fraud:1 is declared to serve in dev
    And somebody else made an endpoint of that name
    When I apply dev
    Then it ends with exit code 5
    And the endpoint is still theirs

  Scenario: Deletion of a model in use
    Given fraud:1 serves in dev and in prod
    And model version fraud:2
    And fraud:2 serves in dev
    When I delete fraud:1
    Then it is refused with exit code 5 because "fraud:1 is used by endpoint/fraud@live"
    When fraud:2 serves in prod as well
    And I delete fraud:1 and apply
    Then the registry does not hold fraud:1
    And version 1 of fraud cannot be declared again

  Scenario: Many deletions at once need to be asked for
    Given 12 endpoints in dev
    When I remove 6 endpoints from Git
    And I apply dev
    Then it is refused with exit code 5 because "Too many deletions"
    And 12 endpoints are live in dev
    When I apply dev and allow 6 deletions
    Then 6 endpoints are live in dev

  Scenario: A protected stage deletes nothing
    Given fraud:1 serves in dev and in prod
    When I remove the endpoint from prod and commit it
    And I apply prod
    Then it ends with exit code 5
    And prod serves fraud:1

  Scenario: A protected endpoint is not deleted with its declaration
    Given fraud:1 serves in dev and is protected
    When I remove the endpoint from dev and commit it
    And I apply dev
    Then it ends with exit code 5
    And dev serves fraud:1

  Scenario: Two people at once
    Given fraud:1 serves in dev
    And fraud:2 is declared to serve in dev
    And model version fraud:2
    When I apply dev while a colleague is applying it
    Then one of us is told with exit code 7 who holds the lock
    And dev serves fraud:2
    And every change was made once

  Scenario: An auditor asks about a past date
    Given fraud:1 serves in prod since a Monday
    And fraud:2 serves in prod since the Tuesday after
    When the auditor asks what served in prod on that Monday evening
    Then the answer is fraud:1 with the sha256 of its file, the commit and the person
    When the auditor asks what served in prod on the Wednesday
    Then the answer is fraud:2 with the sha256 of its file, the commit and the person
    When the auditor asks what served in prod on the Sunday before
    Then nothing is known of that time
