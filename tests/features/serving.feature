Feature: Serving on one machine
  What a team declares about callers, versions and data holds for real requests to real processes.

  Scenario: A key is rotated and no caller notices
    Given an endpoint that asks for a key
    And a caller who uses the secondary key all the while
    When the primary key is made anew
    Then the old primary key opens nothing
    And the new primary key opens the endpoint
    And the caller was never refused
    And neither Git nor any log holds a key

  Scenario: A token expires with its signing key when tokens are revoked
    Given an endpoint that asks for a token
    When the signing key is made anew
    Then a token from before still opens the endpoint
    When the signing key is made anew and all tokens are revoked
    Then a token from before opens nothing

  Scenario: A canary gets exactly its share
    Given version 1 serves
    When version 2 is declared as a canary that stays at 10 % for an hour
    And I apply
    Then it ends with exit code 6 because it soaks
    And of 200 requests 20 are answered by version 2
    And the deployment header reaches version 1
    When version 1 is declared again
    And I apply
    Then of 100 requests 0 are answered by version 2

  Scenario: Weights between two deployments are exact, also when they change
    Given version 1 serves beside version 2 with 90 % and 10 %
    Then of 1000 requests 100 are answered by version 2
    When the weights become 25 % and 75 %
    And I apply
    Then of 1000 requests 750 are answered by version 2
    And no process was started anew

  Scenario: A version is tried with copies of requests
    Given version 1 serves, and a fifth of its requests is copied to version 2, which fails
    Then of 100 requests 0 are answered by version 2
    And version 2 heard of 20 requests

  Scenario: Data is collected without what must not be kept
    Given an endpoint that collects requests and answers, never a card and only a digest of names
    When Ada asks 3 times and Grace once
    Then 4 requests and 4 answers are kept, each pair under one id
    And no card and no name is kept, and Ada has one digest
    And the status says "main: 8 collected, 0 dropped, 0 waiting"
    When somebody sends what cannot be searched for a card
    Then the status says "main: 9 collected, 1 DROPPED (unfiltered 1), 0 waiting"
    When the endpoint is deleted
    Then 4 requests and 5 answers are kept
    When what was collected is rolled into tables
    Then the tables have 4 requests and 5 answers
